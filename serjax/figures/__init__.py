"""How results are shown: pictures, and tables on the terminal and in Markdown. No file is read here."""
