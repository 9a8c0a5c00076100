CREATE TABLE customers (id BIGSERIAL NOT NULL, name text NOT NULL, CONSTRAINT customers_pkey PRIMARY KEY (id));
--> statement-breakpoint
CREATE TABLE orders (id BIGSERIAL NOT NULL, customer_id bigint NOT NULL, amount integer NOT NULL, note text, placed_at TIMESTAMP WITH TIME ZONE NOT NULL, legacy text, CONSTRAINT orders_pkey PRIMARY KEY (id));
