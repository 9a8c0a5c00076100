COMMIT;
--> statement-breakpoint
ALTER TABLE orders ADD CONSTRAINT orders_customer_fkey FOREIGN KEY (customer_id) REFERENCES customers (id) ON DELETE NO ACTION ON UPDATE NO ACTION;
--> statement-breakpoint
BEGIN;
