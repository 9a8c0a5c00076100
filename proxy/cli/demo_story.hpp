#pragma once
// What `tidegate demo` tells, once its server and its gateway run: statements sent through the gateway by a
// person, beside an application that works on the same table. Nothing is staged: each answer and each time is
// what happened, and a promise that was not kept fails the story.

#include "proxy/cli/screen.hpp"
#include "proxy/cli/sql_client.hpp"

#include <cstdint>
#include <string>

#include <boost/asio/awaitable.hpp>

namespace tidegate::cli {

struct demo_places {
  sql_address server;  // the superuser, by unix socket
  std::string address = "127.0.0.1";
  std::uint16_t server_port = 0, gateway_port = 0, http_port = 0;
};

// Roles of the demo: who changes the schema and owns the table, the application, the gateway itself.
inline constexpr const char* demo_owner = "ann";
inline constexpr const char* demo_application = "app";
inline constexpr const char* demo_control = "tidegate";
// The database behind the gateway, and a copy that only the direct way leads to.
inline constexpr const char* demo_database = "shop";
inline constexpr const char* demo_copy = "shop_copy";
inline constexpr std::uint64_t demo_rows = 500'000;

// Roles, the table `orders` and its copy. Throws std::runtime_error.
boost::asio::awaitable<void> prepare_demo(sql_address server);

// Throws std::runtime_error when something went otherwise than promised.
boost::asio::awaitable<void> tell_demo(screen& to, demo_places places);

}  // namespace tidegate::cli
