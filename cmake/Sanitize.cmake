if(P2PD_SANITIZE)
  add_compile_options(-fsanitize=address,undefined -fno-sanitize-recover=all
    -fno-omit-frame-pointer)
  add_link_options(-fsanitize=address,undefined)
endif()
if(P2PD_FUZZ)
  # The properties of the targets are assertions, and so are the invariants of what they drive.
  add_compile_options(-UNDEBUG)
  add_compile_options(-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
    -fno-omit-frame-pointer)
  add_link_options(-fsanitize=address,undefined)
endif()
if(P2PD_COVERAGE)
  add_compile_options(--coverage)
  add_link_options(--coverage)
endif()
