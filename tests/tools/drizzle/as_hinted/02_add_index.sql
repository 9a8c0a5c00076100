COMMIT;
--> statement-breakpoint
CREATE INDEX orders_customer ON orders (customer_id);
--> statement-breakpoint
BEGIN;
