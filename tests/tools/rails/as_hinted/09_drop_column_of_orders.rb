class DropColumnOfOrders < ActiveRecord::Migration[6.1]
  def up
    execute 'ALTER TABLE orders DROP COLUMN legacy /* tidegate:allow=drop-column reason="nobody reads it" */'
  end

  def down
    add_column :orders, :legacy, :text
  end
end
