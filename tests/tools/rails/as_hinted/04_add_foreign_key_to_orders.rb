class AddForeignKeyToOrders < ActiveRecord::Migration[6.1]
  disable_ddl_transaction!

  def change
    add_foreign_key :orders, :customers
  end
end
