-- A small library: what the cases of this corpus work on.
CREATE TABLE readers (id bigint PRIMARY KEY, name varchar(40) NOT NULL, email text, joined timestamptz NOT NULL DEFAULT now());
CREATE TABLE books (id bigint PRIMARY KEY, isbn varchar(13), title text, shelf text, pages int, price numeric(8,2), added timestamp);
CREATE TABLE loans (id bigint PRIMARY KEY, reader_id bigint CONSTRAINT loans_reader REFERENCES readers (id), book_id bigint, due date);
CREATE INDEX loans_reader_idx ON loans (reader_id);
CREATE INDEX books_shelf_idx ON books (shelf);
CREATE UNIQUE INDEX books_isbn_idx ON books (isbn);
CREATE DOMAIN page_count AS int CHECK (VALUE > 0);
CREATE TABLE volumes (book_id bigint, pages page_count);
CREATE TABLE visits (day date NOT NULL, reader_id bigint) PARTITION BY RANGE (day);
CREATE TABLE visits_2025 PARTITION OF visits FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE tickets (id serial PRIMARY KEY);
CREATE VIEW overdue AS SELECT reader_id, due FROM loans WHERE due < CURRENT_DATE;
CREATE SCHEMA archive;
CREATE TABLE archive."Old Loans" (id bigint, "Due Date" date);
