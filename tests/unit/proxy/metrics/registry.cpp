#include "proxy/metrics/registry.hpp"

#include <algorithm>
#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tidegate::metrics {
namespace {

using testing::HasSubstr;
using testing::Not;

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = text.find('\n', begin);
    lines.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return lines;
}

TEST(registry, renders_a_family_for_each_row_of_the_table_and_nothing_else) {
  registry all("1.2.3");
  std::vector<std::string> expected, rendered;
  for (const metric_description& m : metric_table) {
    const std::string_view kind = m.kind == metric_kind::counter ? "counter"
                                  : m.kind == metric_kind::gauge ? "gauge"
                                                                 : "histogram";
    expected.push_back("# TYPE " + std::string(m.name) + " " + std::string(kind));
  }
  for (const std::string& line : lines_of(all.render())) {
    if (line.starts_with("# TYPE ")) rendered.push_back(line);
  }
  EXPECT_EQ(rendered, expected);
}

TEST(registry, shows_every_metric_of_the_table_once_there_is_a_session) {
  registry all("1.2.3");
  thread_metrics& thread = all.add_thread();
  session_metrics session = thread.session("shop", "app");
  session.count_ddl("none", ddl_action::allow);
  thread.errors.add("42P01");
  all.read_from(metric::connections_accepted_total, [] { return 1; });
  all.read_from(metric::accept_errors_total, [] { return 0; });
  const std::string page = all.render();
  for (const metric_description& m : metric_table) {
    const std::string sample =
        "\n" + std::string(m.name) + (m.kind == metric_kind::histogram ? "_count" : "");
    EXPECT_TRUE(page.find(sample + " ") != std::string::npos || page.find(sample + "{") != std::string::npos)
        << m.name;
  }
}

TEST(registry, uses_exactly_the_labels_of_the_table) {
  registry all("1.2.3");
  thread_metrics& thread = all.add_thread();
  thread.session("shop", "app").count_ddl("none", ddl_action::allow);
  thread.errors.add("42P01");
  const auto lines = lines_of(all.render());
  for (const metric_description& m : metric_table) {
    const std::string begin = std::string(m.name) + (m.kind == metric_kind::histogram ? "_sum" : "");
    for (const std::string& line : lines) {
      if (!line.starts_with(begin + "{")) continue;
      std::string labels;
      for (std::size_t at = begin.size(); line[at] != '}';) {
        const std::size_t equals = line.find('=', at + 1);
        labels += (labels.empty() ? "" : ",") + line.substr(at + 1, equals - at - 1);
        at = line.find('"', equals + 2) + 1;
      }
      EXPECT_EQ(labels, m.labels) << line;
    }
  }
}

TEST(registry, adds_up_what_the_threads_count) {
  registry all("1");
  thread_metrics& one = all.add_thread();
  thread_metrics& two = all.add_thread();
  one.session("shop", "app").user->queries.add(2);
  two.session("shop", "app").user->queries.add(3);
  two.session("shop", "app").database->query_seconds.observe(0.002);
  one.connections_refused[refusal_reason::draining].add();
  const std::string page = all.render();
  EXPECT_THAT(page, HasSubstr("\ntidegate_queries_total{database=\"shop\",user=\"app\"} 5\n"));
  EXPECT_THAT(page, HasSubstr("\ntidegate_query_seconds_bucket{database=\"shop\",le=\"0.001\"} 0\n"));
  EXPECT_THAT(page, HasSubstr("\ntidegate_query_seconds_bucket{database=\"shop\",le=\"0.0025\"} 1\n"));
  EXPECT_THAT(page, HasSubstr("\ntidegate_query_seconds_bucket{database=\"shop\",le=\"+Inf\"} 1\n"));
  EXPECT_THAT(page, HasSubstr("\ntidegate_connections_refused_total{reason=\"draining\"} 1\n"));
  EXPECT_THAT(page, HasSubstr("\ntidegate_threads 2\n"));
}

TEST(registry, gives_a_session_of_the_same_names_the_same_counters) {
  registry all("1");
  thread_metrics& thread = all.add_thread();
  EXPECT_EQ(thread.session("shop", "app").user, thread.session("shop", "app").user);
  EXPECT_EQ(thread.session("shop", "app").database, &thread.database("shop"));
  EXPECT_NE(thread.session("shop", "app").user, thread.session("shop", "bob").user);
}

TEST(registry, counts_names_beyond_the_bound_as_other) {
  registry all("1");
  thread_metrics& thread = all.add_thread();
  for (std::size_t i = 0; i < max_label_values + 500; ++i) {
    thread.session("shop", "user" + std::to_string(i)).user->client_connections.add();
  }
  const auto lines = lines_of(all.render());
  EXPECT_EQ(std::ranges::count_if(
                lines, [](const std::string& l) { return l.starts_with("tidegate_queries_total{"); }),
            static_cast<long>(max_label_values) + 1);
  EXPECT_THAT(lines,
              testing::Contains("tidegate_client_connections_total{database=\"other\",user=\"other\"} 500"));
  EXPECT_THAT(lines, testing::Contains("tidegate_labels_folded_total 500"));
}

TEST(registry, never_shows_the_same_series_twice_whatever_the_names) {
  registry all("1");
  thread_metrics& thread = all.add_thread();
  for (const std::string& name :
       {std::string("other"), std::string("\xFF"), std::string("\xFE"), std::string("a\"b\n"),
        std::string(500, 'x') + "1", std::string(500, 'x') + "2"}) {
    thread.session(name, name);
  }
  auto lines = lines_of(all.render());
  std::erase_if(lines, [](const std::string& l) { return l.starts_with("#"); });
  for (std::string& line : lines) line.resize(line.rfind(' '));
  std::ranges::sort(lines);
  EXPECT_EQ(std::ranges::adjacent_find(lines), lines.end());
}

TEST(registry, counts_errors_by_class_and_what_is_no_sqlstate_as_other) {
  registry all("1");
  thread_metrics& thread = all.add_thread();
  for (const char* sqlstate : {"42P01", "42703", "XX000", "", "4\"\n00", "toolong"})
    thread.errors.add(sqlstate);
  const std::string page = all.render();
  EXPECT_THAT(page, HasSubstr("tidegate_errors_total{sqlstate_class=\"42\"} 2\n"));
  EXPECT_THAT(page, HasSubstr("tidegate_errors_total{sqlstate_class=\"XX\"} 1\n"));
  EXPECT_THAT(page, HasSubstr("tidegate_errors_total{sqlstate_class=\"other\"} 3\n"));
}

TEST(registry, follows_clients_through_their_states) {
  registry all("1");
  session_metrics session = all.add_thread().session("shop", "app");
  session.user->clients[client_state::idle].add();
  session.user->move_client(client_state::idle, client_state::active);
  EXPECT_THAT(all.render(),
              HasSubstr("tidegate_clients{database=\"shop\",user=\"app\",state=\"active\"} 1\n"));
  EXPECT_THAT(all.render(), HasSubstr("tidegate_clients{database=\"shop\",user=\"app\",state=\"idle\"} 0\n"));
}

TEST(registry, can_be_scraped_while_threads_count_and_log_in) {
  registry all("1");
  std::atomic<int> running{4};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      thread_metrics& own = all.add_thread();
      for (int i = 0; i < 2000; ++i) {
        session_metrics session = own.session("shop", "user" + std::to_string(i % 20));
        session.user->queries.add();
        session.database->query_seconds.observe(0.001);
        session.count_ddl("add-column", ddl_action::allow);
        all.process().facts_read_seconds.observe(0.001);
      }
      --running;
    });
  }
  while (running > 0) (void)all.render();
  for (std::thread& thread : threads) thread.join();
  const std::string page = all.render();
  EXPECT_THAT(page, HasSubstr("tidegate_query_seconds_count{database=\"shop\"} 8000\n"));
  EXPECT_THAT(page, HasSubstr("tidegate_facts_read_seconds_count 8000\n"));
  EXPECT_THAT(
      page,
      HasSubstr(
          "tidegate_ddl_statements_total{rule=\"add-column\",action=\"allow\",database=\"shop\"} 8000\n"));
}

TEST(registry, tells_of_the_process) {
  registry all("1.2.3");
  const std::string page = all.render();
  EXPECT_THAT(page, HasSubstr("tidegate_build_info{version=\"1.2.3\"} 1\n"));
  EXPECT_THAT(page, HasSubstr("\ntidegate_up 1\n"));
  EXPECT_THAT(page, Not(HasSubstr("\ntidegate_process_open_fds 0\n")));
  EXPECT_THAT(page, Not(HasSubstr("\ntidegate_process_resident_memory_bytes 0\n")));
}

}  // namespace
}  // namespace tidegate::metrics
