class SetNotNullToOrders < ActiveRecord::Migration[6.1]
  def change
    change_column_null :orders, :note, false
  end
end
