"""As `hxtorch_emulator.spawned`, for programs on a shared chip."""
