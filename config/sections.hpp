#pragma once
// The sections of the file, one function each. They check what can be seen in one place; validate.hpp checks
// what depends on several.

#include "config/load.hpp"
#include "config/section_reader.hpp"
#include "config/settings.hpp"

namespace tidegate::config {

// The whole file.
void read_settings(section_reader& root, settings& out, const load_options& options);

void read_listen(section_reader& root, settings& out);
void read_auth(section_reader& root, auth_settings& out, const load_options& options);
void read_databases(section_reader& root, settings& out, const load_options& options);
void read_peers(section_reader& root, peers_settings& out);
void read_policies(section_reader& root, policy_settings& out, const load_options& options);

// TLS of the gateway's own connections.
void read_server_tls(section_reader& section, server_tls_settings& out);

// `password: …` or `password_file: …`, of which the first line counts.
void read_password(section_reader& section, std::string& out, const load_options& options);

// The beginning of a file, at most `limit` bytes; noted as a problem when it cannot be read or has more.
std::string read_whole_file(section_reader& section, std::string_view key, const std::string& file,
                            std::size_t limit);

}  // namespace tidegate::config
