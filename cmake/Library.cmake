# libp2pd, what programs link: shared and static of the same objects, with nothing of the daemon in it. The daemon's own
# commands link the static one.
include(GNUInstallDirs)

# As others link it: their compiler may not read our link-time optimization, their process has no sanitizer.
set_target_properties(p2pd_p2pd PROPERTIES INTERPROCEDURAL_OPTIMIZATION OFF)
add_library(libp2pd_static STATIC $<TARGET_OBJECTS:p2pd_p2pd>)
add_library(libp2pd_shared SHARED $<TARGET_OBJECTS:p2pd_p2pd>)
set_target_properties(libp2pd_static libp2pd_shared PROPERTIES OUTPUT_NAME p2pd LINKER_LANGUAGE C
  INTERPROCEDURAL_OPTIMIZATION OFF ARCHIVE_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/lib"
  LIBRARY_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/lib")
set_target_properties(libp2pd_shared PROPERTIES VERSION 0.1.0 SOVERSION 0
  LINK_DEPENDS "${CMAKE_SOURCE_DIR}/src/p2pd/libp2pd.map")
target_link_options(libp2pd_shared PRIVATE
  "-Wl,--version-script=${CMAKE_SOURCE_DIR}/src/p2pd/libp2pd.map")

install(TARGETS libp2pd_shared LIBRARY ARCHIVE)
install(TARGETS libp2pd_static ARCHIVE)
install(DIRECTORY include/p2pd/ DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}/p2pd")
# The prefix is where the file is found: cpack and cmake --install have different ones.
string(REGEX REPLACE "[^/]+" ".." PC_UP "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
string(REGEX REPLACE "[^/]+" ".." PC_UP "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
configure_file("${CMAKE_SOURCE_DIR}/cmake/package/p2pd.pc.in" "${CMAKE_BINARY_DIR}/p2pd.pc" @ONLY)
install(FILES "${CMAKE_BINARY_DIR}/p2pd.pc" DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
