#include "proxy/known_logins.hpp"

#include <string_view>
#include <utility>

namespace tidegate {

std::string known_logins::key_of(const session::accepted_client& client) {
  std::string key;
  key.reserve(256);
  // Each part is told apart by its length.
  const auto add = [&key](std::string_view part) {
    const std::size_t size = part.size();
    key.append(reinterpret_cast<const char*>(&size), sizeof size);
    key += part;
  };
  add(client.database);
  add(client.user);
  add(client.identity);
  key += static_cast<char>(client.method);
  for (const pool::parameter& each : client.parameters) {
    add(each.name);
    add(each.value);
  }
  return key;
}

known_login_ptr known_logins::find(const std::string& key,
                                   const std::shared_ptr<const runtime_settings>& runtime,
                                   const pool::credentials& proof) const {
  const auto found = by_key_.find(key);
  if (found == by_key_.end() || found->second->runtime != runtime || found->second->proof != proof)
    return nullptr;
  return found->second;
}

void known_logins::remember(std::string key, known_login_ptr login) {
  if (key.size() > longest_key) return;
  if (by_key_.size() >= most && !by_key_.contains(key)) by_key_.clear();
  by_key_.insert_or_assign(std::move(key), std::move(login));
}

void known_logins::forget_others(const std::shared_ptr<const runtime_settings>& runtime) {
  std::erase_if(by_key_, [&runtime](const auto& each) {
    return each.second->runtime != runtime || each.second->pool.expired();
  });
}

}  // namespace tidegate
