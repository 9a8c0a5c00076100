class RenameColumnOfOrders < ActiveRecord::Migration[6.1]
  def up
    execute 'ALTER TABLE orders RENAME COLUMN note TO remark /* tidegate:allow=rename-column reason="nobody reads it" */'
  end

  def down
    execute 'ALTER TABLE orders RENAME COLUMN remark TO note /* tidegate:allow=rename-column reason="nobody reads it" */'
  end
end
