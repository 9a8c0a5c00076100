#include "proxy/session/background_statement.hpp"

#include "protocol/sqlstate.hpp"
#include "proxy/log/log.hpp"

#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

namespace tidegate::session {

control::background_news not_taken() {
  return {.state = control::background_state::stopped,
          .sqlstate = std::string(protocol::sqlstate::configuration_limit_exceeded),
          .message = std::string(too_many_in_background)};
}

boost::asio::awaitable<void> write_background_news(environment& on, control::control_target_ptr control,
                                                   std::int64_t id, control::background_news news) {
  const auto source = on.shared.control.querier_for(*control);
  const bool written = co_await control::record_background_news(*source, id, news);
  if (!written)
    log::warning<"background_news_lost">(
        {{"database", control->database}, {"background", id}, {"state", control::word(news.state)}});
}

void tell_of_background(environment& on, control::control_target_ptr control, std::int64_t id,
                        control::background_news news) {
  boost::asio::co_spawn(on.context, write_background_news(on, std::move(control), id, std::move(news)),
                        boost::asio::detached);
}

}  // namespace tidegate::session
