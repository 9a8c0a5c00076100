exports.up = (pgm) => {
  pgm.sql('ALTER TABLE orders RENAME COLUMN note TO remark /* tidegate:allow=rename-column reason="nobody reads it" */');
};

exports.down = (pgm) => {
  pgm.sql('ALTER TABLE orders RENAME COLUMN remark TO note /* tidegate:allow=rename-column reason="nobody reads it" */');
};
