/** Waits for a promise until a deadline. Returns whether it was kept; afterwards the promise goes on in the background. */
export async function answeredBy(
  promise: Promise<unknown>,
  deadlineMs: number,
  background: (promise: Promise<unknown>) => void,
): Promise<boolean> {
  let timer: ReturnType<typeof setTimeout> | null = null;
  const deadline = new Promise<boolean>((resolve) => {
    timer = setTimeout(resolve, deadlineMs, false);
  });
  const settled = promise.then(
    () => true,
    () => false,
  );
  const inTime = await Promise.race([settled, deadline]);
  if (timer !== null) clearTimeout(timer);
  if (!inTime) background(settled);
  return inTime;
}
