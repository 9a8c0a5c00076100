class DropColumnOfOrders < ActiveRecord::Migration[6.1]
  def change
    remove_column :orders, :legacy, :text
  end
end
