COMMIT;
--> statement-breakpoint
ALTER TABLE orders ADD token uuid NOT NULL DEFAULT gen_random_uuid();
--> statement-breakpoint
BEGIN;
