class AddColumnToOrders < ActiveRecord::Migration[6.1]
  disable_ddl_transaction!

  def up
    add_column :orders, :token, :uuid, null: false, default: -> { "gen_random_uuid()" }
  end

  def down
    execute 'ALTER TABLE orders DROP COLUMN token /* tidegate:allow=drop-column reason="never used" */'
  end
end
