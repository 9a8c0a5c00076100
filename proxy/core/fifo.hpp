#pragma once
// A queue that holds next to no memory while it is empty: sessions have several, and most are idle. (A
// std::deque allocates as soon as it is made.)

#include <cstddef>
#include <iterator>
#include <utility>
#include <vector>

namespace tidegate::core {

template <typename T>
class fifo {
 public:
  bool empty() const { return items_.empty(); }
  std::size_t size() const { return items_.size() - begin_; }
  T& front() { return items_[begin_]; }
  const T& front() const { return items_[begin_]; }
  void push_back(T item) { items_.push_back(std::move(item)); }
  void pop_front() {
    items_[begin_++] = T{};
    if (begin_ == items_.size()) {
      if (items_.capacity() > most_kept)
        items_ = {};
      else
        items_.clear();
      begin_ = 0;
    } else if (begin_ >= least_compacted && begin_ * 2 >= items_.size()) {
      items_.erase(items_.begin(), items_.begin() + static_cast<std::ptrdiff_t>(begin_));
      begin_ = 0;
    }
  }

  // The oldest first. Elements move when others come and go.
  auto begin() const { return items_.begin() + static_cast<std::ptrdiff_t>(begin_); }
  auto end() const { return items_.end(); }
  auto rbegin() const { return std::make_reverse_iterator(end()); }
  auto rend() const { return std::make_reverse_iterator(begin()); }

 private:
  static constexpr std::size_t least_compacted = 64;
  static constexpr std::size_t most_kept = 2;  // so that one after the other allocates nothing

  std::vector<T> items_;
  std::size_t begin_ = 0;  // what is before it was popped
};

}  // namespace tidegate::core
