"""One module or system each, set up for its tests: `<Module>Env`."""
