class RenameColumnOfOrders < ActiveRecord::Migration[6.1]
  def change
    rename_column :orders, :note, :remark
  end
end
