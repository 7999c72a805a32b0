/**
 * Counts under names such as `storeWrites`, in words: `12,345 store writes`. Texts stand alone, lists with their length,
 * counts under names of their own behind a colon.
 */
export function describeCounts(counts: object): string {
  return Object.entries(counts)
    .map(([name, value]: [string, Count]) => {
      const words = name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
      if (typeof value === 'string') return value;
      if (typeof value === 'number') return `${value.toLocaleString('en-US')} ${words}`;
      if (Array.isArray(value)) return `${value.length} ${words}`;
      const inner = Object.entries(value).map(([key, one]) => `${key} ${one}`);
      return inner.length === 0 ? `0 ${words}` : `${words}: ${inner.join(', ')}`;
    })
    .join(', ');
}

type Count = string | number | readonly unknown[] | Readonly<Record<string, number>>;
