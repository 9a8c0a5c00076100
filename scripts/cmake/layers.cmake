# tidegate_layer(NAME FOLDERS ... [EXCLUDE ...]): a static library of every source in the folders.
# Before anything of ours compiles, check_layers reads the includes of all sources and stops the build when one
# crosses a border (the directions are in scripts/cmake/check_layers.cmake and docs/index.md).
add_custom_target(check_layers
  COMMAND ${CMAKE_COMMAND} -DROOT=${CMAKE_SOURCE_DIR} -P ${CMAKE_SOURCE_DIR}/scripts/cmake/check_layers.cmake
  COMMENT "checking the directions between layers")

function(tidegate_layer name)
  cmake_parse_arguments(arg "" "" "FOLDERS;EXCLUDE" ${ARGN})
  set(sources)
  foreach(folder ${arg_FOLDERS})
    if(folder STREQUAL "policies")
      file(GLOB_RECURSE found CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${folder}/*.cpp)
    else()
      file(GLOB found CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${folder}/*.cpp)
    endif()
    list(APPEND sources ${found})
  endforeach()
  foreach(without ${arg_EXCLUDE})
    list(FILTER sources EXCLUDE REGEX "^${CMAKE_SOURCE_DIR}/${without}")
  endforeach()
  add_library(tidegate_${name} STATIC ${sources})
  target_include_directories(tidegate_${name} PUBLIC ${CMAKE_SOURCE_DIR})
  target_link_libraries(tidegate_${name} PRIVATE tidegate_flags)
  set_target_properties(tidegate_${name} PROPERTIES LINKER_LANGUAGE CXX)
  add_dependencies(tidegate_${name} check_layers)
endfunction()
