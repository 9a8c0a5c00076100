#pragma once
// Existing rows get the default of a new column in batches: keyset by a unique key, or by pages where there
// is none. Each row is written once, whatever is interrupted: only rows that have no value yet are touched.
// The SQL of the batches, and nothing else: pure.

#include <cstdint>
#include <string>
#include <vector>

namespace tidegate::policies {

struct filling {
  std::string table;             // as it stands behind UPDATE
  std::string column;            // quoted
  std::vector<std::string> key;  // quoted columns of a unique index, none of them NULL; empty: by pages (14+)
  double rows = 0;               // about how many there are; 0: not known
};

// The key behind which the batch of $1 rows ends, or no row: it is the last one. $2… is the key behind which
// it begins; without `begun` it is the first batch.
std::string batch_end_query(const filling& what, bool begun);
// Fills the rows of a batch and returns their number: $1… is the key (or page) behind which it begins, then
// that at which it ends.
std::string batch_query(const filling& what, bool begun, bool ends);
// How many pages the relation with the oid $1 has, where there is no key.
std::string pages_query();
// The same for a reader: what a person would write.
std::string as_one_statement(const filling& what);

}  // namespace tidegate::policies
