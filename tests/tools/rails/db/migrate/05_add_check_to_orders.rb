class AddCheckToOrders < ActiveRecord::Migration[6.1]
  def change
    add_check_constraint :orders, "amount >= 0", name: "amount_not_negative"
  end
end
