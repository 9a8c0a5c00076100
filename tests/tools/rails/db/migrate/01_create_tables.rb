class CreateTables < ActiveRecord::Migration[6.1]
  def change
    create_table :customers do |t|
      t.text :name, null: false
    end
    create_table :orders do |t|
      t.bigint :customer_id, null: false
      t.integer :amount, null: false
      t.text :note
      t.column :placed_at, :timestamptz, null: false
      t.text :legacy
    end
  end
end
