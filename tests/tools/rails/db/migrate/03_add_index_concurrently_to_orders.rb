class AddIndexConcurrentlyToOrders < ActiveRecord::Migration[6.1]
  def change
    add_index :orders, :placed_at, name: "orders_placed_at", algorithm: :concurrently
  end
end
