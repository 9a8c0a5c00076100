COMMIT;
--> statement-breakpoint
ALTER TABLE orders ALTER COLUMN note SET NOT NULL;
--> statement-breakpoint
BEGIN;
