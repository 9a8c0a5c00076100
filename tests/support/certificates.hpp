#pragma once
// Certificates for tests, made in memory and written as PEM files: an authority, and what it signs.

#include <filesystem>
#include <memory>
#include <string>

namespace tidegate::testing {

class temporary_folder {
 public:
  temporary_folder();
  ~temporary_folder();
  temporary_folder(const temporary_folder&) = delete;
  temporary_folder& operator=(const temporary_folder&) = delete;
  const std::filesystem::path& path() const { return path_; }
  std::string file(const std::string& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

struct certificate_files {
  std::string certificate;
  std::string key;
};

class authority {
 public:
  // Writes <folder>/<name>.crt.
  authority(const std::filesystem::path& folder, const std::string& name);
  ~authority();
  const std::string& certificate() const { return certificate_; }
  // A certificate for `common_name`, good for "localhost" and 127.0.0.1 too when it is a server's.
  certificate_files issue(const std::string& common_name, bool is_server) const;

 private:
  struct state;
  std::filesystem::path folder_;
  std::string certificate_;
  std::unique_ptr<state> state_;
};

}  // namespace tidegate::testing
