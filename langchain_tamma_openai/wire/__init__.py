"""Sans-I/O conversion between LangChain objects and OpenAI's JSON."""
