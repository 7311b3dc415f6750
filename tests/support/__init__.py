"""What runs the tests: plug-ins of pytest that know nothing of the product. What tests of one area share lies in its folder."""
