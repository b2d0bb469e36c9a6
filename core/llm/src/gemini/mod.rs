//! The dialect `gemini`: `generateContent` and `streamGenerateContent`. Only this module knows its wire format.
