COMMIT;
--> statement-breakpoint
ALTER TABLE orders ADD CONSTRAINT amount_not_negative CHECK (amount >= 0);
--> statement-breakpoint
BEGIN;
