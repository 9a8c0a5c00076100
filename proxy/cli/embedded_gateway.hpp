#pragma once
// A gateway inside a command: `demo` and `check --rehearse` run what they show through it.

#include "config/settings.hpp"
#include "proxy/gateway.hpp"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>

namespace tidegate::cli {

// A new folder of the process's own, in the system's folder for temporary files; removed with all it holds.
// Throws std::system_error.
class scratch_folder {
 public:
  // `others`: what everybody else may do in it; none, or enter it (perms::group_exec | perms::others_exec).
  scratch_folder(const std::string& prefix, std::filesystem::perms others);
  ~scratch_folder();
  scratch_folder(const scratch_folder&) = delete;
  scratch_folder& operator=(const scratch_folder&) = delete;

  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

// Serves on threads of its own as long as it lives. Throws as gateway does.
class embedded_gateway {
 public:
  explicit embedded_gateway(std::shared_ptr<const config::settings> settings);
  ~embedded_gateway();
  embedded_gateway(const embedded_gateway&) = delete;
  embedded_gateway& operator=(const embedded_gateway&) = delete;

  std::uint16_t port() const { return gateway_.listening().front().port; }
  std::uint16_t http_port() const { return gateway_.http_port(); }

 private:
  gateway gateway_;
  std::thread thread_;
};

}  // namespace tidegate::cli
