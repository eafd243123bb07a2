// Keeps the visitor's token in a cookie, so that a reloaded page is still that visitor's.

export default function visitor({ data }) {
  const secure = location.protocol === "https:" ? "; secure" : "";
  document.cookie = `cnnviz_visitor=${data}; path=/; max-age=31536000; samesite=lax${secure}`;
}
