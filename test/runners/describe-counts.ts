/** Counts under names such as `storeWrites`, in words: `12,345 store writes`; other values as they are. */
export function describeCounts(counts: object): string {
  return Object.entries(counts)
    .map(([name, value]) => {
      const words = name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
      if (typeof value === 'number') return `${value.toLocaleString('en-US')} ${words}`;
      if (typeof value === 'string') return value;
      const inner = Object.entries(value as object).map(([key, one]) => `${key} ${one}`);
      return inner.length === 0 ? `no ${words}` : `${words}: ${inner.join(', ')}`;
    })
    .join(', ');
}
