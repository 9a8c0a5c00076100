# Which layer may include which, and behind which wall each third-party library stays. Run by the target check_layers.
#   layer          may include (first component of "…" includes)
set(protocol_may  protocol)
set(policies_may  policies)
set(config_may    config policies)
set(core_may      proxy/core protocol policies config)
# proxy may include everything of ours.

# third-party header (regex)          the only places that may include it (regex of the path)
set(walls
  "pg_query|protobuf-c"               "^policies/sql/"
  "yaml-cpp/"                         "^config/"
  "liburing"                          "^proxy/net/"
  "libpq-fe"                          "^proxy/control/"
  "prometheus/"                       "^proxy/metrics/"
  "openssl/"                          "^(protocol/|proxy/net/|proxy/session/|proxy/pool/|tests/|bench/)"
  "boost/asio|boost/beast"            "^(proxy/(net|session|pool|control|metrics|admin|audit|log|cli)/|proxy/[a-z_]+\\.(cpp|hpp)|tests/|bench/)"
  "spdlog/"                           "^proxy/(log/|[a-z_]+\\.)"
  "CLI/"                              "^proxy/(cli/|main)")

set(bad "")
foreach(layer protocol policies config core)
  if(layer STREQUAL core)
    set(folder proxy/core)
  else()
    set(folder ${layer})
  endif()
  file(GLOB_RECURSE files RELATIVE ${ROOT} ${ROOT}/${folder}/*.cpp ${ROOT}/${folder}/*.hpp)
  foreach(f ${files})
    file(STRINGS ${ROOT}/${f} lines REGEX "^[ \t]*#[ \t]*include[ \t]*\"")
    foreach(line ${lines})
      string(REGEX REPLACE ".*\"([^\"]*)\".*" "\\1" inc "${line}")
      set(fine FALSE)
      foreach(may ${${layer}_may})
        if(inc MATCHES "^${may}/")
          set(fine TRUE)
        endif()
      endforeach()
      if(NOT fine)
        string(APPEND bad "\n  ${f}: ${layer} may not include \"${inc}\"")
      endif()
    endforeach()
  endforeach()
endforeach()

file(GLOB_RECURSE files RELATIVE ${ROOT} ${ROOT}/protocol/*.?pp ${ROOT}/policies/*.?pp ${ROOT}/config/*.?pp ${ROOT}/proxy/*.?pp
     ${ROOT}/tests/*.?pp ${ROOT}/bench/*.?pp)
foreach(f ${files})
  file(STRINGS ${ROOT}/${f} lines REGEX "^[ \t]*#[ \t]*include[ \t]*[<\"]")
  foreach(line ${lines})
    string(REGEX REPLACE ".*[<\"]([^>\"]*)[>\"].*" "\\1" inc "${line}")
    set(rest ${walls})
    while(rest)
      list(POP_FRONT rest header place)
      if(inc MATCHES "^(${header})" AND NOT f MATCHES "${place}")
        string(APPEND bad "\n  ${f}: <${inc}> stays behind its wall (${place})")
      endif()
    endwhile()
  endforeach()
endforeach()
if(bad)
  message(FATAL_ERROR "includes that cross a border:${bad}")
endif()
