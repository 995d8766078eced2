// Runs before the first paint, so that a remembered theme never flashes. It is
// a file because the content security policy allows no inline script.
try {
  const theme = localStorage.getItem('mini-vercel:theme')
  if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme
} catch {
  // Storage is off: the system's theme it is.
}
