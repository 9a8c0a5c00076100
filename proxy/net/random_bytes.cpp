#include "proxy/net/random_bytes.hpp"

#include <array>
#include <cstring>
#include <stdexcept>

#include <openssl/crypto.h>
#include <openssl/rand.h>

namespace tidegate::net {
namespace {

void generate(std::span<std::byte> into) {
  if (RAND_bytes(reinterpret_cast<unsigned char*>(into.data()), static_cast<int>(into.size())) != 1)
    throw std::runtime_error("the system has no random bytes");
}

struct store {
  std::array<std::byte, 1024> bytes;
  std::size_t left = 0;  // at the end

  ~store() { OPENSSL_cleanse(bytes.data(), bytes.size()); }
};

}  // namespace

void random_bytes(std::span<std::byte> into) {
  if (into.empty()) return;
  thread_local store mine;
  if (into.size() > mine.bytes.size() / 4) return generate(into);
  if (into.size() > mine.left) {
    mine.left = 0;
    generate(mine.bytes);
    mine.left = mine.bytes.size();
  }
  const auto taken = std::span(mine.bytes).last(mine.left).first(into.size());
  std::memcpy(into.data(), taken.data(), taken.size());
  OPENSSL_cleanse(taken.data(), taken.size());
  mine.left -= taken.size();
}

}  // namespace tidegate::net
