class ChangeTypeOfOrders < ActiveRecord::Migration[6.1]
  def up
    change_column :orders, :amount, :bigint
  end

  def down
    change_column :orders, :amount, :integer
  end
end
