"""The board files, installed as ``aebert.board_files``; see docs/boards.md."""
