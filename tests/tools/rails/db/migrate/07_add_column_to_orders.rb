class AddColumnToOrders < ActiveRecord::Migration[6.1]
  def change
    add_column :orders, :token, :uuid, null: false, default: -> { "gen_random_uuid()" }
  end
end
