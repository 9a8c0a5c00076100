require "rails"
require "active_record/railtie"

class Shop < Rails::Application
  config.root = File.expand_path("..", __dir__)
  config.eager_load = false
  config.secret_key_base = "not a secret"
  config.logger = Logger.new($stderr, level: Logger::ERROR)
  config.active_record.dump_schema_after_migration = false
end
