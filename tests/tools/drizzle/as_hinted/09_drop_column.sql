ALTER TABLE orders DROP COLUMN legacy /* tidegate:allow=drop-column reason="nobody reads it" */;
