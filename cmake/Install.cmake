# What `cmake --install` puts where, and the Debian package made of the same (cpack -G DEB).
include(GNUInstallDirs)

# Manual page and completions are the program's own words, so a cross-built one speaks through the emulator.
set(pages "${CMAKE_BINARY_DIR}/pages")
file(MAKE_DIRECTORY "${pages}")
set(made "")
function(p2pd_page file)
  add_custom_command(OUTPUT "${pages}/${file}" COMMAND beacon-p2pd ${ARGN} > "${pages}/${file}"
    DEPENDS beacon-p2pd VERBATIM)
  set(made ${made} "${pages}/${file}" PARENT_SCOPE)
endfunction()
p2pd_page(beacon-p2pd.1 man)
p2pd_page(beacon-p2pd.bash completion bash)
p2pd_page(_beacon-p2pd completion zsh)
p2pd_page(beacon-p2pd.fish completion fish)
add_custom_command(OUTPUT "${pages}/beacon-p2pd.1.gz"
  COMMAND gzip -9nkf beacon-p2pd.1 DEPENDS "${pages}/beacon-p2pd.1"
  WORKING_DIRECTORY "${pages}" VERBATIM)
add_custom_target(pages ALL DEPENDS ${made} "${pages}/beacon-p2pd.1.gz")

# All that is installed, and nothing else: what packagers build.
add_custom_target(installed)
foreach(target beacon-p2pd pages libp2pd_shared libp2pd_static)
  if(TARGET ${target})
    add_dependencies(installed ${target})
  endif()
endforeach()

install(TARGETS beacon-p2pd RUNTIME)
install(FILES "${pages}/beacon-p2pd.1.gz" DESTINATION "${CMAKE_INSTALL_MANDIR}/man1")
install(FILES "${pages}/beacon-p2pd.bash" RENAME beacon-p2pd
  DESTINATION "${CMAKE_INSTALL_DATADIR}/bash-completion/completions")
install(FILES "${pages}/_beacon-p2pd" DESTINATION "${CMAKE_INSTALL_DATADIR}/zsh/vendor-completions")
install(FILES "${pages}/beacon-p2pd.fish"
  DESTINATION "${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d")
# Which prefix it is, is known at install time only: cpack has another one than cmake --install.
install(CODE "
  set(BINDIR \"\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_BINDIR}\")
  configure_file(\"${CMAKE_SOURCE_DIR}/cmake/package/beacon-p2pd.service.in\"
    \"${CMAKE_BINARY_DIR}/beacon-p2pd.service\" @ONLY)
  file(INSTALL \"${CMAKE_BINARY_DIR}/beacon-p2pd.service\"
    DESTINATION \"\${CMAKE_INSTALL_PREFIX}/lib/systemd/system\")")
install(FILES README.md CHANGELOG.md DESTINATION "${CMAKE_INSTALL_DOCDIR}")
install(FILES LICENSE RENAME copyright DESTINATION "${CMAKE_INSTALL_DOCDIR}")
install(DIRECTORY docs/ DESTINATION "${CMAKE_INSTALL_DOCDIR}/docs"
  PATTERN "examples" EXCLUDE PATTERN "benchmarks" EXCLUDE PATTERN "decisions" EXCLUDE)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME beacon-p2pd)
set(CPACK_PACKAGE_VERSION "${PROJECT_VERSION}")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "peer-to-peer daemon of Ethereum's consensus layer")
set(CPACK_PACKAGE_CONTACT "beacon-p2pd's maintainers <beacon-p2pd@localhost>")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_THREADS 1)
set(CPACK_PACKAGE_DIRECTORY "${CMAKE_BINARY_DIR}/package")
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS ca-certificates)
set(CPACK_DEBIAN_PACKAGE_SUGGESTS bash-completion)
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA
  "${CMAKE_SOURCE_DIR}/cmake/package/postinst;${CMAKE_SOURCE_DIR}/cmake/package/prerm")
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
include(CPack)
