"""The fake API: objects in memory, with the API's rules, patches and watches."""
