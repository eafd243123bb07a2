// Nothing to see: it asks the server for columns of weights, and hands those that come to the stepper.

export default function columns({ data, setStateValue }) {
  const shared = sharedColumns();
  const send = (wanted) => setStateValue("wanted", wanted);
  shared.send = send;
  shared.take(unpack(data));
  shared.ask();
  return () => {
    if (shared.send === send) shared.send = null;
  };
}
