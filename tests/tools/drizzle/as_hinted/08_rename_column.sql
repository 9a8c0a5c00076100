ALTER TABLE orders RENAME COLUMN note TO remark /* tidegate:allow=rename-column reason="nobody reads it" */;
