#include "proxy/cli/embedded_gateway.hpp"

#include <cerrno>
#include <cstdlib>
#include <system_error>
#include <utility>

namespace tidegate::cli {

namespace fs = std::filesystem;

scratch_folder::scratch_folder(const std::string& prefix, fs::perms others) {
  std::string name = (fs::temp_directory_path() / (prefix + "-XXXXXX")).string();
  if (::mkdtemp(name.data()) == nullptr)
    throw std::system_error(errno, std::generic_category(), "cannot make a folder " + name);
  path_ = name;
  fs::permissions(path_, fs::perms::owner_all | others);
}

scratch_folder::~scratch_folder() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

embedded_gateway::embedded_gateway(std::shared_ptr<const config::settings> settings)
    : gateway_(std::move(settings)) {
  gateway_.start();
  thread_ = std::thread([this] { gateway_.run(); });
}

embedded_gateway::~embedded_gateway() {
  gateway_.stop();
  thread_.join();
}

}  // namespace tidegate::cli
