"""The screens and dialogs: each is what fills the terminal, or stands before what does."""
